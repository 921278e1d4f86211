// Prints the reports of server.js, for instance every night. The token comes from the environment: in the source or
// among the arguments it would be in repositories, in lists of processes and in the history of the shell.
//
// Sign in, make a token that can do this and nothing else, and keep it: it is shown this once.
/*
umask 077
curl -c jar -H 'content-type: application/json' -d '{"email":"ada@example.com","password":"violet harbor 92 lantern"}' http://localhost:3000/auth/login
curl -b jar -H 'content-type: application/json' -d '{"name":"Nightly reports","context":"server","allowedMethods":["GET"],"allowedIps":["127.0.0.1","::1"],"scopes":["reports:read"]}' http://localhost:3000/auth/tokens | sed -nE 's/.*"token":"([^"]+).+/\1/p' > reports-token
rm jar
REPORTS_TOKEN=$(cat reports-token) node examples/personal-tokens/fetch-reports.js
*/
const { REPORTS_TOKEN: token, REPORTS_URL: url = 'http://localhost:3000' } = process.env
if (!token) stop('Set REPORTS_TOKEN to a personal token with the scope reports:read; how to make one is said at the top of this script.')

const REFUSALS = {
  401: 'The token was refused: make a new one, or look at /refusals in your account for the reason.',
  403: 'The token lacks the scope reports:read: make one that has it.'
}

// What was thrown is not printed as it is: it may repeat the header, and with it the token.
const response = await fetch(new URL('/reports', url), { headers: { authorization: `ApiToken ${token}` } })
  .catch(({ cause }) => stop(`${url} did not answer${cause?.code ? ` (${cause.code})` : ''}.`))
if (!response.ok) stop(REFUSALS[response.status] ?? `The server answered ${response.status}: try again later.`)
for (const report of await response.json()) console.log(report)

function stop (why) {
  console.error(why)
  process.exit(1)
}
