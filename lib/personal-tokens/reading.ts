/** What is made of one entry of a list: its canonical form, or what is wrong with it, in words. */
export type Reading =
  | { readonly kind: 'canonical', readonly text: string }
  | { readonly kind: 'problem', readonly text: string }

export const canonical = (text: string): Reading => ({ kind: 'canonical', text })

/** @param instead what to write in its place, where that can be told */
export function problem (why: string, instead?: string): Reading {
  // Cut, it would be another entry.
  const canTell = instead !== undefined && instead.length <= LONGEST
  return { kind: 'problem', text: canTell ? `write ${instead} (${why})` : why }
}

const LONGEST = 60

/** As much of what somebody sent as may be repeated to them: what it holds must reach no log or terminal as it is. */
export const excerpt = (text: string): string => text.slice(0, LONGEST).replace(/[^\x20-\x7e]/g, '?')
