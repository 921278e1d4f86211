type Given<T> = { readonly [Name in keyof T]?: Exclude<T[Name], undefined> }

/** Only the members that have a value: what is left out has its default. */
export function given<T extends object> (members: T): Given<T> {
  // The filter is what the type says.
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Given<T>
}
