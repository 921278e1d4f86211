import clockJumps from './clock-jumps.js'
import clocksApart from './clocks-apart.js'
import hashFlood from './hash-flood.js'
import herd from './herd.js'
import postgresAnswersLost from './postgres-answers-lost.js'
import postgresFrozen from './postgres-frozen.js'
import postgresLocked from './postgres-locked.js'
import postgresReadOnly from './postgres-read-only.js'
import postgresRestarted from './postgres-restarted.js'
import redisAnswersLost from './redis-answers-lost.js'
import redisEmptied from './redis-emptied.js'
import redisEvicting from './redis-evicting.js'
import redisFrozen from './redis-frozen.js'
import redisGone from './redis-gone.js'
import redisLoading from './redis-loading.js'
import redisReadOnly from './redis-read-only.js'
import redisScriptsLost from './redis-scripts-lost.js'
import redisSetBack from './redis-set-back.js'
import redisSlow from './redis-slow.js'
import slowBodies from './slow-bodies.js'
import stopped from './stopped.js'

/** In the order of their names. */
export const SCENARIOS = [
  redisGone, redisFrozen, redisSlow, redisAnswersLost, redisEmptied, redisSetBack, redisEvicting, redisScriptsLost, redisReadOnly, redisLoading,
  postgresRestarted, postgresAnswersLost, postgresLocked, postgresFrozen, postgresReadOnly,
  clocksApart, clockJumps, hashFlood, slowBodies, stopped, herd
]
