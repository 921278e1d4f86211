import { losingAnswers } from '../answers-lost.js'

export default losingAnswers({
  id: 'F-12',
  title: 'an answer of PostgreSQL is lost',
  setups: ['postgres'],
  store: 'postgres',
  patternOf: () => /accounts_sessions" set "(generation|rotated_at)"/
})
