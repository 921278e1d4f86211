// For authors of adapters.
export { storageContract, userContract, type ContractCase } from './storage-contract.ts'
// For hosts, which test their own application.
export { authAs, type AppUnderTest, type AuthOptions, type PersonalTokenAuth, type SessionAuth, type Somebody } from './host/auth-as.ts'
export { holdClock, type HeldClock } from './host/clock.ts'
export { linkOf, tokenOf } from './host/links.ts'
export { createMailbox, type Mailbox, type WantedMail } from './host/mailbox.ts'
