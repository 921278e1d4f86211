/** Of everybody. */
export const PASSWORD = 'violet harbor 92 lantern'
