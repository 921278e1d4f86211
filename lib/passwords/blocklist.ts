/** Tells passwords that are guessed first. Whole passwords are compared (NIST SP 800-63B-4, 3.1.1.2), without regard to case. */
export interface Blocklist {
  /** @param identity words of the account itself: its address, names */
  has (password: string, identity: readonly string[]): boolean
}

/** Runs that people type: along the alphabet, the digits, the keyboard. */
const RUNS = ['abcdefghijklmnopqrstuvwxyz', '01234567890123456789', 'qwertyuiopasdfghjklzxcvbnm', '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p', 'q1w2e3r4t5y6u7i8o9p0', 'qazwsxedcrfvtgbyhnujmikolp']
  .map(run => run + run)

/** A piece this short is guessed however often it is written. */
const SHORT_PIECE = 6

/**
 * The list of `@zxcvbn-ts/language-common` (49,000 passwords, works offline) and words of the host; each counts also
 * when it is written several times over, which is how a short password gets past a minimum length.
 */
export async function loadBlocklist (words: readonly string[] | false, serviceWords: readonly string[]): Promise<Blocklist> {
  if (words === false) return { has: () => false }
  const common = await loadCommon()
  const more = new Set([...words, ...serviceWords].map(fold))
  return {
    has (password, identity) {
      const folded = fold(password)
      const own = new Set(identity.flatMap(wordsOf).map(fold))
      const piece = repeatedPiece(folded)
      return [folded, piece].some(text => common.has(text) || more.has(text) || own.has(text) || isRun(text)) || piece.length <= SHORT_PIECE
    }
  }
}

/** Folded once: it is the same for all registrations. */
let commonPasswords: ReadonlySet<string> | null = null

async function loadCommon (): Promise<ReadonlySet<string>> {
  const { dictionary } = await import('@zxcvbn-ts/language-common')
  commonPasswords ??= new Set((dictionary['passwords-common'] as string[]).map(fold))
  return commonPasswords
}

const fold = (text: string) => text.normalize('NFKC').toLowerCase()

/** An address also stands for its part before the `@`. */
const wordsOf = (word: string) => [word, word.split('@', 1)[0]!]

/** The shortest piece that, written over and over (the last time perhaps not to its end), gives the text. */
function repeatedPiece (text: string): string {
  for (let period = 1; period <= text.length / 2; period++) {
    if (text.startsWith(text.slice(period))) return text.slice(0, period)
  }
  return text
}

function isRun (text: string): boolean {
  const reversed = [...text].reverse().join('')
  return RUNS.some(run => run.includes(text) || run.includes(reversed))
}
