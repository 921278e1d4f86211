import type { SecretFacts } from '../../types/diagnosis.ts'
import type { Secret, Secrets } from '../../types/options.ts'

const PAIRS: SecretFacts['shared'] = [['access', 'refresh'], ['access', 'hash'], ['access', 'session'], ['refresh', 'hash'], ['refresh', 'session'], ['hash', 'session']]

/** What can be said of the secrets without saying them, once `createKeyRing` has let them pass. */
export function describeSecrets ({ secret, secrets = { access: [] } }: { readonly secret?: Secret | undefined, readonly secrets?: Secrets }): SecretFacts {
  const given = { access: readTexts(secrets.access), refresh: readTexts(secrets.refresh), hash: readTexts(secrets.hash), session: readTexts(secrets.session) }
  const options = { secret: readTexts(secret), ...Object.fromEntries(Object.entries(given).map(([purpose, texts]) => [`secrets.${purpose}`, texts])) }
  return {
    most: Math.max(...Object.values(options).map(texts => texts.length)),
    shared: PAIRS.filter(([one, other]) => given[one].some(text => given[other].includes(text))),
    repeated: Object.entries(options).filter(([, texts]) => new Set(texts).size < texts.length).map(([option]) => option)
  }
}

/** Secrets in a form that can be compared; none where the option is left out. */
function readTexts (secret: Secret | undefined): string[] {
  return [secret ?? []].flat().map(one => Buffer.from(one as string).toString('base64'))
}
