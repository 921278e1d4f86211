/** Whether a text can be a scope (RFC 6749, 3.3), of 64 characters at most. */
export const isScope = (text: string): boolean => /^[\x21\x23-\x5b\x5d-\x7e]{1,64}$/.test(text)
