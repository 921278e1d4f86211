import type { FastifyInstance } from 'fastify'
import type { Finding } from '../../lib/diagnosis/finding.ts'
import { examine } from '../../lib/diagnosis/index.ts'
import { probe } from '../../lib/diagnosis/probe.ts'
import { examineRefusal } from '../../lib/diagnosis/start.ts'
import { usageError, type Command } from './command.ts'
import { SERVER_FILE, withServer } from './load-server.ts'

export const doctor: Command = {
  usage: 'FILE [--url URL] [--strict]',
  summary: `check a configuration: proxy, cookies, secrets, database, mail, and what --url answers; ${SERVER_FILE}`,
  words: 1,
  options: ['url', 'strict', 'json'],
  isServerLoaded: () => true,
  async run ({ url, strict = false }, [file]) {
    if (url !== undefined && (!URL.canParse(url) || !/^https?:\/\//i.test(url))) throw usageError('--url must be an address that begins with https:// or http://.')
    const findings = await findAll(file, url)
    const count = (severity: Finding['severity']) => findings.filter(finding => finding.severity === severity).length
    const [errors, warnings] = [count('error'), count('warning')]
    return {
      text: [...findings.map(describe), `${quantity(errors, 'error')}, ${quantity(warnings, 'warning')}.`].join('\n'),
      json: { errors, warnings, findings },
      exitCode: errors > 0 || (strict && warnings > 0) ? 1 : 0
    }
  }
}

async function findAll (file: string, url: string | undefined): Promise<Finding[]> {
  try {
    return await withServer(file, async app => await judge(app, url))
  } catch (error) {
    const refusal = examineRefusal(error)
    if (refusal === null) throw error
    return [refusal]
  }
}

async function judge ({ accounts }: FastifyInstance, url: string | undefined): Promise<Finding[]> {
  const facts = await accounts.diagnose()
  return examine(facts, url === undefined ? null : await probe(url, facts.routesPath, new URL(facts.appUrl).origin))
}

const describe = ({ code, severity, what, cure }: Finding) => `${severity.padEnd(7)}  ${code}: ${oneLine(what)}\n         ${oneLine(cure)}`

/** A line of its own may look like a finding of its own. */
const oneLine = (text: string) => text.replaceAll('\n', ' ')

const quantity = (count: number, thing: string) => `${count} ${thing}${count === 1 ? '' : 's'}`
