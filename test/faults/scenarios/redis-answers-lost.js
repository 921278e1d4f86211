import { losingAnswers } from '../answers-lost.js'

export default losingAnswers({
  id: 'F-04',
  title: 'an answer of Redis is lost',
  setups: ['redis'],
  store: 'redis',
  patternOf: session => new RegExp(`evalsha[^]*session:\\{${session}`)
})
