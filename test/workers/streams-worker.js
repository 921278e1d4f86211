// The server of examples/streams, listening, in a process of its own.
import { build } from '../../examples/streams/server.js'
import { serve, storage } from './server.js'

const app = await build({ secret: Buffer.from(process.argv[3], 'base64url'), storage })
await app.listen({ port: 0, host: '127.0.0.1' })

serve({ origin: () => app.listeningOrigin })
