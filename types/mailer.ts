/** One mail, ready to send. All text is already escaped where it must be. */
export interface Mail {
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly html: string
}

/** Sends mail. A rejection means "try again later". */
export interface Mailer {
  send (mail: Mail): Promise<void>
  close?(): Promise<void>
}
