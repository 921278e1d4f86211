import type { FastifyInstance } from 'fastify'
import { FST_ACCOUNTS_OWNER_PROOF_REFUSED } from '../errors.ts'
import { basicChallenge } from '../requests/authorization.ts'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { ClaimBody, ClaimedAnswer, SignedInAnswer } from './schemas.ts'
import { answerSignedIn } from './signed-in.ts'

/** The first account of an installation goes to who proves to be its operator. */
export function addOwner (app: FastifyInstance, dependencies: RoutesDependencies): void {
  const { owner, ownerProof, originGuard } = dependencies
  if (owner === null) return

  addRoute(app, {
    method: 'GET',
    url: '/owner',
    summary: 'Whether there is an owner',
    guard: null,
    answers: { 200: ClaimedAnswer },
    // To a personal token.
    errors: [403],
    handle: async () => ({ claimed: await owner.isClaimedOfLate() })
  })

  addRoute(app, {
    method: 'POST',
    url: '/owner',
    summary: 'Make the account of the first owner and sign in, with the legacy credentials by HTTP Basic, or the setup code of the log',
    guard: null,
    body: ClaimBody,
    answers: { 201: SignedInAnswer },
    errors: [401, 409, 422],
    async handle (request, reply, { setupCode, ...account }) {
      originGuard.checkWithoutSession(request)
      try {
        await ownerProof.check(request, setupCode)
      } catch (error) {
        const challenge = ownerProof.setupCode() === null ? basicChallenge(request) : null
        if (error instanceof FST_ACCOUNTS_OWNER_PROOF_REFUSED && challenge !== null) reply.header('www-authenticate', challenge)
        throw error
      }
      const issued = await owner.claim(account, request)
      reply.code(201)
      return answerSignedIn(reply, issued, dependencies)
    }
  })
}
