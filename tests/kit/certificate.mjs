// An authority of our own, and a certificate for the server's name in the small internet: nobody speaks TLS to a bare address.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** Writes both into a folder, and gives the paths. */
export function certify(folder) {
  const path = (name) => join(folder, name)
  const ssl = (...args) => execFileSync('openssl', args, { stdio: 'ignore' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  ssl('req', '-x509', ...key, '-subj', '/CN=twocan test authority', '-addext', 'basicConstraints=critical,CA:TRUE',
    '-keyout', path('ca.key'), '-out', path('ca.pem'))
  ssl('req', '-x509', ...key, '-subj', '/CN=twocan test', '-CA', path('ca.pem'), '-CAkey', path('ca.key'),
    '-addext', 'subjectAltName=DNS:play.test',
    '-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'extendedKeyUsage=serverAuth',
    '-keyout', path('server.key'), '-out', path('server.pem'))
  return { cert: path('server.pem'), key: path('server.key'), ca: path('ca.pem') }
}
