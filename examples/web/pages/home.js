export async function home (app) {
  app.get('/', { onRequest: app.guard({ via: 'cookie', optional: true }) }, async (request, reply) => {
    if (request.principal === null) return reply.view('welcome', { isClaimed: await app.accounts.owner.isClaimed() })
    const { user, session } = request.principal
    const [sessions, tokens] = await Promise.all([app.accounts.sessions.list(user.id, session.id), app.accounts.personalTokens.list(user.id)])
    return reply.view('home', { sessions, tokens: tokens.filter(({ expiresAt }) => expiresAt > new Date()) })
  })
}
