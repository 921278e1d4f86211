/** The header of a client that speaks HTTP Basic (RFC 7617). */
export const basic = (username: string, password: string) => ({ authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` })
