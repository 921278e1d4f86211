const MAX_MAILS = 100

/** A mailer that sends nothing: it keeps the latest mails, for a page to show. */
export function createMailbox () {
  const mails = []
  let count = 0
  return {
    /** The newest first. */
    list: () => mails.toReversed(),
    find: number => mails.find(mail => mail.number === number) ?? null,
    async send (mail) {
      mails.push({ ...mail, number: ++count, sentAt: new Date() })
      if (mails.length > MAX_MAILS) mails.shift()
    }
  }
}
