import type { FastifySessionObject } from '@fastify/session'

/** The names of what the host has put in. */
export const dataNames = (session: FastifySessionObject) => Object.keys(session).filter(name => name !== 'cookie' && name !== 'accountSession')

/** Whether it came from the store, which always names an owner, if only `null`: then others may know its id. */
export const isKnown = (session: FastifySessionObject) => Object.keys(session).includes('accountSession')
