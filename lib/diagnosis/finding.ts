/** What `doctor` has found: a stable code, how bad it is, what it is in this case, and how to mend it. */
export interface Finding {
  readonly code: FindingCode
  /** `ok`: worth knowing, and nothing is wrong. */
  readonly severity: 'ok' | 'warning' | 'error'
  readonly what: string
  readonly cure: string
}

export type FindingCode = keyof typeof FINDINGS

/** Every finding that there is; the table in docs/operation.md is kept in step by a test. An error hurts already, a warning may. */
export const FINDINGS = {
  'start-refused': { severity: 'error', cure: 'Correct what the message names.' },
  'proxy-trusts-everybody': { severity: 'warning', cure: 'Set trustProxy to the addresses of the proxies in front of this server.' },
  'proxy-hops': { severity: 'warning', cure: 'Set trustProxy to the addresses of the proxies in front of this server.' },
  'proxy-unknown': { severity: 'warning', cure: 'Set trustProxy to the addresses of the proxies in front of this server, or let the server itself speak TLS.' },
  'cookie-domain-public-suffix': { severity: 'error', cure: 'Leave cookies.domain out, or name a domain that is yours alone.' },
  'cookies-insecure': { severity: 'warning', cure: 'Serve the application over https, say so in appUrl, and take cookies.insecure out.' },
  'secret-shared': { severity: 'warning', cure: 'Give each purpose a secret of its own ("npx fastify-accounts secret" prints one), or one root secret as "secret".' },
  'secret-repeated': { severity: 'warning', cure: 'Put a new secret first ("npx fastify-accounts secret" prints one), and the old one behind it once.' },
  'secret-rotation': { severity: 'ok', cure: 'Take the old secrets out once all that they signed or keyed has ended.' },
  'key-rotation': { severity: 'ok', cure: 'Take an old key out once the last token that it signed has ended, which takes accessTokenTtl and leeway.' },
  'storage-failed': { severity: 'error', cure: 'Make the database reachable from here, and look at its own log.' },
  'storage-unchecked': { severity: 'ok', cure: 'Give the storage the verb "inspect", if it is one of yours.' },
  'clock-skew': { severity: 'warning', cure: 'Let NTP set the clocks of this machine and of the database\'s.' },
  'migrations-missing': { severity: 'error', cure: 'Run "npx fastify-accounts migrate" on this database.' },
  'indexes-missing': { severity: 'error', cure: 'Make them again by hand: "npx fastify-accounts migrate --database new.db" makes a database that has them, and its schema shows how (for PostgreSQL in an empty schema).' },
  'triggers-missing': { severity: 'error', cure: 'Make them again by hand: "npx fastify-accounts migrate --database new.db" makes a database that has them, and its schema shows how (for PostgreSQL in an empty schema).' },
  'triggers-disabled': { severity: 'error', cure: 'Switch them on again, by "alter table … enable trigger …".' },
  'redis-failed': { severity: 'error', cure: 'Make Redis reachable from here, and look at its own log.' },
  'redis-slow': { severity: 'warning', cure: 'Bring Redis closer to this server, and look what else it is busy with ("redis-cli --latency", "SLOWLOG GET").' },
  'redis-old': { severity: 'error', cure: 'Bring Redis up to date: 6.2 or newer.' },
  'redis-evicts': { severity: 'warning', cure: 'Set "maxmemory-policy noeviction", or give accounts a Redis of their own.' },
  'redis-forgets': { severity: 'warning', cure: 'Set "appendonly yes", unless a login after each restart is what you want.' },
  'mail-failed': { severity: 'error', cure: 'Correct host, port, TLS or login of the mailer, or mend the mail server; mail waits for a day.' },
  'mail-unchecked': { severity: 'ok', cure: 'Give the mailer the verb "verify", if it is one of yours.' },
  'url-differs': { severity: 'error', cure: 'Set appUrl to the address that browsers use, or call doctor with that of appUrl.' },
  'url-unreachable': { severity: 'error', cure: 'Make the address reachable from here, with a certificate that is trusted.' },
  'url-elsewhere': { severity: 'error', cure: 'Let the proxy hand all requests below the path of appUrl to this server, and redirect none of them.' },
  'url-unchecked': { severity: 'ok', cure: 'Leave --url out, as there are no routes of the plugin to ask for.' },
  'origin-refused': { severity: 'error', cure: 'Start the server there with the appUrl of this configuration.' },
  'cookies-changed': { severity: 'error', cure: 'Let the proxy hand Set-Cookie on as it is, and start the server there with this configuration.' }
} as const satisfies Readonly<Record<string, { readonly severity: Finding['severity'], readonly cure: string }>>

/** @param cure where the case says more than the table */
export function finding (code: FindingCode, what: string, cure: string = FINDINGS[code].cure): Finding {
  return { code, severity: FINDINGS[code].severity, what, cure }
}
