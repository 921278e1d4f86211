import { dictionary } from '@zxcvbn-ts/language-common'
import t from 'tap'
import { createApp, PASSWORD } from './support/app.ts'
import { createCountedPasswords } from './support/counting-hasher.ts'

const EMAIL = 'wilhelmina.harrington@example.com'
const ACCOUNT = { email: EMAIL, username: 'countess.of.lovelace', name: 'Augusta Ada King-Noel' }
const OPTIONS = { appUrl: 'http://accounts-of-northwind.example.com:3000', cookies: { insecure: true }, passwords: { blocklist: ['Northwind Traders Ltd', 'windward'] } }

const GUESSABLE = {
  'a word of the list': 'qazwsxedcrfvtgb',
  'the same in capitals': 'QAZWSXEDCRFVTGB',
  'the same in full-width letters': 'ｑａｚｗｓｘｅｄｃｒｆｖｔｇｂ',
  'a word of the list, twice': 'PasswordPassword',
  'a word of the list, twice and a bit': 'sunshinesunshinesun',
  'one letter': 'aaaaaaaaaaaaaaaa',
  'one emoji': '🦊'.repeat(15),
  'six letters, over and over': 'vqkzmtvqkzmtvqkzmt',
  'fifteen spaces': ' '.repeat(15),
  'a run of the alphabet': 'cdefghijklmnopqrs',
  'a run backwards': 'zyxwvutsrqponml',
  'a run of digits': '456789012345678',
  'a run of the keyboard': 'qwertyuiopasdfgh',
  'the e-mail address': EMAIL,
  'the e-mail address in capitals': EMAIL.toUpperCase(),
  'its local part': 'wilhelmina.harrington',
  'the user name': 'Countess.of.Lovelace',
  'the name': 'augusta ada king-noel',
  'the name of the service': 'accounts-of-northwind',
  'the host of the service': 'accounts-of-northwind.example.com',
  'a word of the host\'s own': 'northwind traders ltd',
  'a short word of the host\'s own, twice': 'WindwardWindward'
}

t.test('P-11 what is guessed first is refused at sign-up and at a change', async t => {
  const { client } = await createApp(t, OPTIONS)
  const browser = client()
  t.equal((await browser.post('/auth/register', { ...ACCOUNT, password: PASSWORD })).statusCode, 201)
  for (const [what, password] of Object.entries(GUESSABLE)) {
    const registered = await client().post('/auth/register', { ...ACCOUNT, password })
    t.match(registered.json(), { statusCode: 422, code: 'FST_ACCOUNTS_PASSWORD_COMMON' }, `sign-up: ${what}`)
    const changed = await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: password })
    t.match(changed.json(), { statusCode: 422, code: 'FST_ACCOUNTS_PASSWORD_COMMON' }, `change: ${what}`)
    t.notMatch(registered.body, password, 'the answer does not repeat it')
  }
  t.equal((await client().post('/auth/login', { email: EMAIL, password: PASSWORD })).statusCode, 200, 'the password is still the first one')
})

t.test('P-11 the keyboard or the alphabet, written three times, is a run as well', async t => {
  const { passwords } = await createCountedPasswords()
  for (const run of ['abcdefghijklmnopqrstuvwxyz', 'qwertyuiopasdfghjklzxcvbnm']) {
    for (const times of [1, 2, 3, 4]) t.throws(() => passwords.check(run.repeat(times), []), { code: 'FST_ACCOUNTS_PASSWORD_COMMON' }, `${run}, ${times} times`)
  }
})

t.test('P-11 whole passwords are compared: a phrase that holds a common word or a name is welcome', async t => {
  const { client } = await createApp(t, OPTIONS)
  const phrases = ['my password is a riddle', 'harrington keeps nine owls', 'northwind blows tonight', 'abcdefghijklmno!', '123 candles for Augusta']
  for (const [index, password] of phrases.entries()) {
    const { statusCode } = await client().post('/auth/register', { email: `harrington${index}@example.com`, password })
    t.equal(statusCode, 201, password)
  }
})

t.test('P-11 somebody else\'s address is a password like any other', async t => {
  const { client } = await createApp(t, OPTIONS)
  t.equal((await client().post('/auth/register', { email: 'ada@example.com', password: EMAIL })).statusCode, 201)
})

t.test('P-11 with blocklist: false the host decides alone', async t => {
  const { client } = await createApp(t, { ...OPTIONS, passwords: { blocklist: false } })
  for (const [index, password] of ['passwordpassword', 'aaaaaaaaaaaaaaaa', 'accounts-of-northwind', 'owner3@example.com'].entries()) {
    t.equal((await client().post('/auth/register', { email: `owner${index}@example.com`, password })).statusCode, 201, password)
  }
  t.equal((await client().post('/auth/register', { email: 'x@example.com', password: 'passwordpasswo' })).statusCode, 422, 'the length still counts')
})

t.test('P-11 far more than 3000 common passwords that fit the fifteen-character minimum are refused', async t => {
  const { passwords, hasher } = await createCountedPasswords()
  const words = dictionary['passwords-common'] as string[]
  const longEnough = words.filter(word => [...word].length >= 15)
  // A minimum length is what makes people write a short favourite twice.
  const repeated = words.filter(word => [...word].length < 15).map(word => word.repeat(Math.ceil(15 / [...word].length)))
  const refused = (candidates: string[]) => candidates.filter(candidate => {
    try {
      passwords.check(candidate, [])
      return false
    } catch (error) {
      return (error as { code?: string }).code === 'FST_ACCOUNTS_PASSWORD_COMMON'
    }
  })
  t.equal(refused(longEnough).length, longEnough.length, `all ${longEnough.length} of the list that are long enough`)
  t.equal(refused(repeated).length, repeated.length, `all ${repeated.length} that are long enough when written again`)
  t.ok(new Set([...longEnough, ...repeated]).size > 3000)
  t.strictSame(hasher.take(), { hash: 0, verify: 0 }, 'at no cost')
})
