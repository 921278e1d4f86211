export async function sessions (app) {
  const member = app.guard({ via: 'cookie' })

  app.get('/sessions', { onRequest: member }, async (request, reply) => {
    const { user, session } = request.principal
    const sessions = await app.accounts.sessions.list(user.id, session.id)
    // The browser that they sit at stands first.
    return reply.view('sessions', { sessions: sessions.sort((a, b) => Number(b.current) - Number(a.current)) })
  })

  app.post('/sessions/:id/end', { onRequest: member }, async (request, reply) => {
    // One that has ended meanwhile is what was wished for.
    await app.accounts.sessions.end(request.principal.user.id, request.params.id, { request })
    return reply.flash('session-ended').redirect('/sessions', 303)
  })

  app.post('/sessions/end-others', { onRequest: member }, async (request, reply) => {
    const { user, session } = request.principal
    await app.accounts.sessions.endAll(user.id, { except: session.id }, { request })
    return reply.flash('others-ended').redirect('/sessions', 303)
  })
}
