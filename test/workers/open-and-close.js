// Opens a storage and closes it; whether the process then ends is what its parent wants to know.
import { openStorage } from './open-storage.js'

const storage = await openStorage(JSON.parse(process.argv[2]))
storage.feed.isCurrent()
storage.sessions.feed?.isCurrent()
process.once('message', async () => {
  process.disconnect()
  await storage.close()
})
process.send('opened')
