/** A field of what `INFO` answers; `null`: the server does not tell. */
export function readField (info: unknown, name: string): string | null {
  return new RegExp(`^${name}:(\\S+)`, 'm').exec(String(info))?.[1] ?? null
}
