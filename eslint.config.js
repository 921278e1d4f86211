import neostandard from 'neostandard'

/** What a folder may import from the others; lower layers know nothing of higher ones (docs/architecture.md). */
const LEAVES = ['batch', 'errors', 'clock', 'random', 'duration', 'heartbeat', 'shape', 'strict-json']
const ALLOWED = {
  tokens: [...LEAVES],
  passwords: [...LEAVES, 'options'],
  requests: [...LEAVES, 'tokens'],
  liveness: [...LEAVES, 'storage'],
  mail: [...LEAVES, 'options', 'hooks', 'storage', 'tokens', 'requests'],
  sessions: [...LEAVES, 'options', 'hooks', 'storage', 'tokens', 'requests', 'liveness', 'mail'],
  'personal-tokens': [...LEAVES, 'options', 'hooks', 'storage', 'tokens', 'requests', 'liveness', 'mail', 'sessions'],
  basic: [...LEAVES, 'requests'],
  credentials: [...LEAVES, 'basic', 'options', 'hooks', 'storage', 'tokens', 'requests', 'liveness', 'sessions', 'personal-tokens'],
  accounts: [...LEAVES, 'basic', 'options', 'hooks', 'storage', 'tokens', 'requests', 'passwords', 'liveness', 'mail', 'sessions', 'personal-tokens'],
  authorization: [...LEAVES, 'hooks', 'requests', 'credentials'],
  diagnosis: [...LEAVES, 'options', 'storage'],
  routes: [...LEAVES, 'hooks', 'tokens', 'requests', 'sessions', 'personal-tokens', 'accounts', 'authorization'],
  environment: [...LEAVES, 'options', 'tokens', 'passwords'],
  // Of both it takes types alone: nothing of the server reaches a browser.
  client: ['routes/schemas', 'errors'],
  adapters: [...LEAVES],
  testing: [...LEAVES]
}

const directions = Object.entries(ALLOWED).map(([folder, allowed]) => ({
  files: [`lib/${folder}/**/*.ts`],
  rules: {
    'no-restricted-imports': ['error', {
      patterns: [{
        // From lib/<folder>/x.ts a neighbour is ../<other>/y.ts; from an adapter two levels deep ../../<other>.ts.
        regex: `^(\\.\\./)+(?!(${[...allowed, '\\.\\.', 'types'].join('|')})(/|\\.ts$))(?!types/)[a-z]`,
        message: `lib/${folder} may import: types, ${allowed.join(', ') || 'nothing else'}`
      }]
    }]
  }
}))

export default [
  ...neostandard({ ts: true, ignores: ['dist', 'node_modules', '.tap'] }),
  {
    rules: {
      // A promise that nobody waits for is marked as such.
      'no-void': ['error', { allowAsStatement: true }]
    }
  },
  {
    files: ['lib/**/*.ts', 'types/**/*.ts', 'bin/**/*.ts'],
    rules: {
      'max-lines': ['error', 250],
      'no-restricted-syntax': ['error',
        { selector: 'NewExpression[callee.name="Error"]', message: 'Errors come from the table in lib/errors.ts' },
        { selector: 'CallExpression[callee.object.name="Date"][callee.property.name="now"]', message: 'The time is read in lib/clock.ts' },
        { selector: 'CallExpression[callee.object.name="Math"][callee.property.name="random"]', message: 'Random values are drawn in lib/random.ts' },
        { selector: 'CallExpression[callee.object.name="performance"][callee.property.name="now"]', message: 'The time is read in lib/clock.ts' },
        { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: 'The time is read in lib/clock.ts' }
      ]
    }
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      'no-restricted-syntax': ['error', { selector: 'CallExpression[callee.name="join"] > MemberExpression[property.name="dirname"] + Literal[value=/^\\.\\./]', message: 'Tests run as compiled, in another folder: ROOT of test/support/root.ts is that of the package' }]
    }
  },
  { files: ['lib/clock.ts', 'lib/client/clock.ts', 'lib/random.ts'], rules: { 'no-restricted-syntax': 'off' } },
  ...directions,
  { files: ['types/**/*.ts'], rules: { 'no-restricted-imports': ['error', { patterns: [{ regex: '^\\.\\./', message: 'types/ holds contracts only and imports nothing of lib/' }] }] } }
]
