import { linesOf, listOf, showAgain, textOf } from '../forms.js'

const DAYS = ['7', '30', '60', '90']
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
const REFUSAL = 'PERSONAL_TOKEN_FIELD_INVALID'
const DAY_MS = 24 * 3600 * 1000

export async function tokens (app) {
  const member = app.guard({ via: 'cookie' })
  // Who makes a token could use it long after this session: it takes a recent password.
  const freshly = app.guard({ via: 'cookie', fresh: '15m' })

  app.get('/tokens', { onRequest: member }, async (request, reply) => {
    const tokens = await app.accounts.personalTokens.list(request.principal.user.id)
    return reply.view('tokens', { tokens: tokens.map(token => ({ ...token, isOver: token.expiresAt <= new Date() })) })
  })

  app.get('/tokens/new', { onRequest: freshly }, async (_request, reply) => reply.view('token-new', {
    days: DAYS,
    methods: METHODS,
    values: { context: 'server', days: '30', methods: ['GET'] }
  }))

  app.post('/tokens', { onRequest: freshly }, async (request, reply) => {
    const values = readForm(request.body)
    try {
      const created = await app.accounts.personalTokens.create(request.principal.user.id, toFields(values), { request })
      // Their account has been deleted or disabled in this very moment.
      if (created === null) return reply.redirect('/login', 303)
      // No redirect: it is shown this once, and kept nowhere.
      return reply.code(201).view('token-created', created)
    } catch (error) {
      const { field, message } = explain(error)
      return showAgain(reply, error, 'token-new', { days: DAYS, methods: METHODS, values, fields: { [REFUSAL]: field }, words: { [REFUSAL]: message } })
    }
  })

  app.post('/tokens/:id/revoke', { onRequest: member }, async (request, reply) => {
    await app.accounts.personalTokens.revoke(request.principal.user.id, request.params.id, { request })
    return reply.flash('token-revoked').redirect('/tokens', 303)
  })
}

const readForm = body => ({
  name: textOf(body, 'name'),
  context: textOf(body, 'context'),
  days: textOf(body, 'days'),
  ownDays: textOf(body, 'ownDays'),
  methods: listOf(body, 'methods'),
  addresses: textOf(body, 'addresses'),
  referrers: textOf(body, 'referrers')
})

/** What the form says, as the service takes it; a list that is empty would allow nothing, and is left out. */
function toFields ({ name, context, days, ownDays, methods, ...lists }) {
  const [allowedIps, allowedReferrers] = [linesOf(lists, 'addresses'), linesOf(lists, 'referrers')]
  return {
    name,
    context,
    expiresAt: new Date(Date.now() + readDays(days === 'own' ? ownDays : days) * DAY_MS),
    allowedMethods: methods,
    ...(context === 'server' && allowedIps.length > 0 ? { allowedIps } : {}),
    ...(context === 'browser' && allowedReferrers.length > 0 ? { allowedReferrers } : {})
  }
}

/** What is no number of days is no moment either, which the service refuses. */
const readDays = text => /^[1-9]\d{0,4}$/.test(text.trim()) ? Number(text) : NaN

/** Which field a refusal is about, and in which words. */
function explain ({ message }) {
  const [, name, index, why] = /^(\w+)(?:\[(\d+)\])? (.*)$/s.exec(message) ?? []
  switch (name) {
    case 'name': return { field: 'name', message: 'Give the token a name of 1 to 100 characters' }
    case 'expiresAt': return { field: 'ownDays', message: why.startsWith('is too late') ? 'A token can’t live that long: take fewer days' : 'Give a number of days, 1 or more' }
    case 'allowedMethods': return { field: 'methods', message: 'Tick one method at least' }
    case 'allowedIps': return { field: 'addresses', message: inLine(index, why) }
    case 'allowedReferrers': return { field: 'referrers', message: inLine(index, why) }
    default: return { field: null, message }
  }
}

const inLine = (index, why) => index === undefined ? `This list ${why}` : `Line ${Number(index) + 1}, ${why}`
