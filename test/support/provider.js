import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import Provider from 'oidc-provider'

/**
 * A real OpenID provider on a port of its own, whose people agree to everything without being asked.
 * @typedef {object} OpenIdProvider
 * @property {string} issuer
 * @property {{ id: string, secret: string }} client
 * @property {Map<string, { email: string, email_verified: boolean | string }>} people by subject
 * @property {(authorizationUrl: string, subject: string | null) => Promise<string>} visit sign in there as somebody (`null`: decline); where that leads back to
 * @property {() => Promise<void>} close
 */

/**
 * @param {readonly string[]} redirectUris
 * @returns {Promise<OpenIdProvider>}
 */
export async function startProvider (redirectUris) {
  const server = createServer()
  server.listen(0)
  await once(server, 'listening')
  const issuer = `http://localhost:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`
  const client = { id: 'shop', secret: randomBytes(24).toString('base64url') }
  const people = new Map()
  // By subject: who has signed in there once is not asked again.
  const jars = new Map()
  /** @type {string | null} */
  let visitor = null

  const provider = new Provider(issuer, {
    clients: [{ client_id: client.id, client_secret: client.secret, redirect_uris: [...redirectUris] }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    cookies: { keys: [randomBytes(24).toString('base64url')] },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    findAccount: async (_ctx, sub) => ({ accountId: sub, claims: async () => ({ sub, ...people.get(sub) }) })
  })

  async function interact (request, response) {
    const { prompt, params } = await provider.interactionDetails(request, response)
    if (visitor === null) return await provider.interactionFinished(request, response, { error: 'access_denied' })
    if (prompt.name === 'login') return await provider.interactionFinished(request, response, { login: { accountId: visitor } })
    const grant = new provider.Grant({ accountId: visitor, clientId: params.client_id })
    grant.addOIDCScope('openid email')
    await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true })
  }

  const answer = provider.callback()
  server.on('request', async (request, response) => {
    await (request.url.startsWith('/interaction/') ? interact : answer)(request, response)
  })

  return {
    issuer,
    client,
    people,
    async visit (authorizationUrl, subject) {
      visitor = subject
      const cookies = jars.get(subject) ?? new Map()
      jars.set(subject, cookies)
      let url = authorizationUrl
      while (url.startsWith(issuer)) {
        const response = await fetch(url, { redirect: 'manual', headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') } })
        for (const line of response.headers.getSetCookie()) {
          const [name, value] = line.split(';', 1)[0].split('=')
          cookies.set(name, value)
        }
        if (response.status < 300 || response.status > 399) throw new TypeError(`the provider answered ${response.status} ${await response.text()}`)
        url = new URL(response.headers.get('location'), url).href
      }
      return url
    },
    async close () {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }
}
