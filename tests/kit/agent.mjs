// Runs inside a player's namespace: starts one browser there and does what it is told, one JSON line a command.
// A browser's control socket listens on its own loopback, so whoever drives it must live beside it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import puppeteer from 'puppeteer-core'

const [kind, settings] = [process.argv[2], JSON.parse(process.argv[3] ?? '{}')]
const viewport = { width: 1280, height: 800 }
const profile = mkdtempSync(join(tmpdir(), `twocan-${kind}-`))

const chromium = () => puppeteer.launch({
  browser: 'chrome',
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  defaultViewport: viewport,
  pipe: true,
  userDataDir: profile,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-background-timer-throttling',
    '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows',
    ...(settings.spki ? [`--ignore-certificate-errors-spki-list=${settings.spki}`] : [])],
})

const firefox = () => {
  if (settings.ca) trust(settings.ca)
  return puppeteer.launch({
    browser: 'firefox',
    executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
    headless: true,
    defaultViewport: viewport,
    userDataDir: profile,
    extraPrefsFirefox: { 'network.captive-portal-service.enabled': false, 'network.connectivity-service.enabled': false },
  })
}

/** Firefox reads authorities from its profile's own database. */
function trust(ca) {
  writeFileSync(join(profile, 'none'), '')
  execFileSync('certutil', ['-N', '-d', `sql:${profile}`, '--empty-password'])
  execFileSync('certutil', ['-A', '-d', `sql:${profile}`, '-n', 'twocan test', '-t', 'C,,', '-i', ca])
}

const browser = await (kind === 'firefox' ? firefox() : chromium())
const page = await browser.newPage()
const log = []
page.on('console', (message) => log.push(`${message.type()}: ${message.text()}`))
page.on('pageerror', (error) => log.push(`error: ${error.message}`))

/** Asks again and again until the answer is something true. Puppeteer's own way to wait is an `eval`, which a page's policy forbids in Firefox. */
async function until(ask, timeout) {
  const end = Date.now() + timeout
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (Date.now() > end) throw new Error(`Waited for ${timeout} ms`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const commands = {
  goto: ({ url }) => page.goto(url, { waitUntil: 'load' }).then(() => null),
  evaluate: ({ source, args }) => page.evaluate(`(${source})(...${JSON.stringify(args)})`),
  wait: ({ timeout, ...what }) => until(() => commands.evaluate(what), timeout),
  click: ({ selector }) => page.click(selector).then(() => null),
  type: ({ selector, text }) => page.type(selector, text).then(() => null),
  key: ({ name, action }) => page.keyboard[action](name).then(() => null),
  viewport: (size) => page.setViewport(size).then(() => null),
  screenshot: ({ path }) => page.screenshot({ path }).then(() => null),
  log: async () => log,
}

process.stdout.write(`${JSON.stringify({ ready: await browser.version() })}\n`)
for await (const line of createInterface({ input: process.stdin })) {
  const { id, command, ...rest } = JSON.parse(line)
  if (command === 'close') break
  commands[command](rest).then(
    (value) => process.stdout.write(`${JSON.stringify({ id, value: value ?? null })}\n`),
    (error) => process.stdout.write(`${JSON.stringify({ id, error: String(error?.message ?? error) })}\n`),
  )
}
await browser.close().catch(() => {})
rmSync(profile, { recursive: true, force: true })
process.exit(0)
