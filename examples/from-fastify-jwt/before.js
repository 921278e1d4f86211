// A server as people write it by hand, with @fastify/jwt and bcrypt. It is what after.js replaces.
import fastifyCookie from '@fastify/cookie'
import fastifyJwt from '@fastify/jwt'
import bcrypt from 'bcrypt'
import Database from 'better-sqlite3'
import Fastify from 'fastify'

export const SCHEMA = `
  create table if not exists users (
    id integer primary key,
    email text not null unique,
    password_hash text not null,
    role text not null default 'user',
    is_active integer not null default 1,
    created_at text not null default current_timestamp
  )`

export async function build ({ jwtSecret = process.env.JWT_SECRET, file = 'app.db', rounds = 10 } = {}) {
  const app = Fastify()
  const database = new Database(file)
  database.exec(SCHEMA)
  app.addHook('onClose', async () => { database.close() })

  await app.register(fastifyCookie)
  await app.register(fastifyJwt, { secret: jwtSecret, sign: { expiresIn: '7d' }, cookie: { cookieName: 'token' } })
  app.decorate('authenticate', async request => { await request.jwtVerify() })

  app.post('/signup', async (request, reply) => {
    const { email, password } = request.body
    const { lastInsertRowid } = database.prepare('insert into users (email, password_hash) values (?, ?)').run(email, await bcrypt.hash(password, rounds))
    return await reply.code(201).send({ id: lastInsertRowid })
  })

  app.post('/login', async (request, reply) => {
    const user = database.prepare('select * from users where email = ? and is_active = 1').get(request.body.email)
    if (user === undefined || !await bcrypt.compare(request.body.password, user.password_hash)) return await reply.code(401).send({ error: 'Wrong e-mail address or password' })
    const token = app.jwt.sign({ id: user.id, email: user.email, role: user.role })
    return await reply.setCookie('token', token, { path: '/', httpOnly: true, sameSite: 'lax' }).send({ token })
  })

  app.post('/logout', async (_request, reply) => await reply.clearCookie('token', { path: '/' }).send({ ok: true }))

  app.get('/profile', { onRequest: [app.authenticate] }, async request => ({ id: request.user.id, email: request.user.email }))

  app.get('/orders', { onRequest: [app.authenticate] }, async request => ({ ordersOf: request.user.id }))

  app.get('/stock', { onRequest: [app.authenticate] }, async (request, reply) => {
    if (request.user.role !== 'admin') return await reply.code(403).send({ error: 'Admins only' })
    return { apples: 3 }
  })

  return app
}

if (process.argv[1] === import.meta.filename) await (await build()).listen({ port: 3000 })
