import { createServer, request as send } from 'node:http'
import { pipeline } from 'node:stream'

/** `/nodes/2/whoami` is `/whoami` of node 2, past the turns. */
const AT_NODE = /^\/nodes\/(\w+)(\/.*)$/

/**
 * Requests go to the nodes by turns. A stand-in for the one that you have; whichever it is, it has to overwrite `x-forwarded-for`.
 * @param nodes their ports by name; `null`: it does not run
 */
export function createProxy (nodes) {
  let turn = 0

  function choose (url) {
    const [, name, path] = AT_NODE.exec(url) ?? []
    if (name !== undefined) return { port: nodes.get(name), path }
    const ports = [...nodes.values()].filter(port => port !== null)
    return { port: ports[turn++ % ports.length], path: url }
  }

  return createServer((request, response) => {
    if (request.url === '/nodes') return answer(response, 200, { nodes: [...nodes.keys()] })
    const { port, path } = choose(request.url)
    if (!port) return answer(response, 502, { message: 'No such node is running' })

    const headers = { ...request.headers, 'x-forwarded-for': request.socket.remoteAddress }
    const passed = send({ host: '127.0.0.1', port, path, method: request.method, headers })
    passed.on('response', answered => {
      response.writeHead(answered.statusCode, answered.headers)
      // What a stream has to say comes when it is said.
      response.flushHeaders()
      pipeline(answered, response, () => {})
    })
    passed.on('error', () => {
      if (response.headersSent) response.destroy()
      else answer(response, 502, { message: 'This node has gone' })
    })
    request.pipe(passed)
    // Whoever goes away is not answered any more, neither by us nor by the node.
    response.on('close', () => passed.destroy())
  })
}

function answer (response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(body))
}
