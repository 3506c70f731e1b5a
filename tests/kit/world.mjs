// A small internet of network namespaces: one public segment, and behind it hosts with or without a kernel's NAT.
//
//     server 80.80.0.10 ──┐
//     player 80.80.0.x  ──┤ wan (bridge)        kind 'public': the player's own public address
//     router 80.80.0.x  ──┘                     kind 'home', 'linux', 'symmetric': a router with nftables in front
//        └── player 192.168.n.10
//
// The public segment is a bridge, where nothing takes time; or a lab's internet, with delay and loss: a kernel need not have netem.
//
// The server is called play.test everywhere (`ip netns exec` lays /etc/netns/NAME over /etc). IPv6 is routed without translation: 2a05:80::/64 on the public segment, 2a05:80:n::/64 behind a router.
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'

const run = (command) => {
  const [file, ...args] = command.split(' ')
  return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** What a router does with packets: RFC 4787's words in nftables. */
const nat = {
  // Endpoint-independent mapping, port kept, address-and-port-dependent filtering: most homes.
  home: 'masquerade',
  // The same without a rule for what comes uninvited: Linux then gives the port away that it came to (docs/nat.md, the race).
  linux: 'masquerade',
  // A new random port for every destination: address-and-port-dependent mapping.
  symmetric: 'masquerade fully-random',
}

export class World {
  #prefix = `tc${process.pid % 100000}`
  #spaces = []
  #count = 0
  #children = new Set()
  #public = new Set()
  #networks6 = []
  #internet
  /** Names of namespaces that are the lab's. */
  #lent = new Map()
  /** Routers that somebody has left, by kind. */
  #left = { home: [], linux: [], symmetric: [] }
  /** The first of the ports that a router gives which has forgotten. */
  #otherPorts = 20_000

  static available() {
    if (process.getuid?.() !== 0) return 'root'
    for (const [tool, args] of [['ip', ['-V']], ['nft', ['-v']]]) {
      try { execFileSync(tool, args, { stdio: 'ignore' }) } catch { return tool }
    }
    return null
  }

  /** Routers stand on the hosts of `internet`, where one is given (`Internet`, kit/lab.mjs). */
  constructor(internet) {
    this.#internet = internet
    if (internet) {
      this.server = internet.server
      return
    }
    this.#space('wan')
    this.#ip('wan', 'link add br0 type bridge')
    this.#ip('wan', 'link set br0 up')
    this.server = this.#attach('srv', 10)
  }

  #name(space) { return this.#lent.get(space) ?? `${this.#prefix}${space}` }
  #ip(space, args) { return run(`ip -n ${this.#name(space)} ${args}`) }

  #space(space) {
    const name = this.#name(space)
    run(`ip netns add ${name}`)
    this.#spaces.push(space)
    mkdirSync(`/etc/netns/${name}`, { recursive: true })
    // Nobody answers names there, and says so at once; a browser that asks for an IPv6 address would wait for seconds.
    writeFileSync(`/etc/netns/${name}/resolv.conf`, 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n')
    writeFileSync(`/etc/netns/${name}/hosts`, '127.0.0.1 localhost\n80.80.0.10 play.test\n')
    this.#ip(space, 'link set lo up')
  }

  /** A namespace with an interface on the public segment. */
  #attach(space, host) {
    if (this.#internet) {
      const { name, address } = this.#internet.take()
      this.#lent.set(space, name)
      return { space, name, address }
    }
    this.#space(space)
    this.#ip('wan', `link add ${space} type veth peer name eth0 netns ${this.#name(space)}`)
    this.#ip('wan', `link set ${space} master br0 up`)
    this.#ip(space, `addr add 80.80.0.${host}/24 dev eth0`)
    this.#ip(space, `addr add 2a05:80::${host}/64 dev eth0 nodad`)
    this.#ip(space, 'link set eth0 up')
    // Default routes, though they lead nowhere: browsers gather nothing without one, and a server finds its address by them.
    this.#ip(space, 'route add default via 80.80.0.1')
    this.#ip(space, '-6 route add default via 2a05:80::1')
    return { space, name: this.#name(space), address: `80.80.0.${host}`, address6: `2a05:80::${host}` }
  }

  /** Gives the server a second address in both families, for behaviour discovery. */
  secondAddress() {
    const second = { address: '80.80.0.11', address6: '2a05:80::11' }
    this.#ip(this.server.space, `addr add ${second.address}/24 dev eth0`)
    this.#ip(this.server.space, `addr add ${second.address6}/64 dev eth0 nodad`)
    return second
  }

  /** A place with no way to anywhere but to itself. */
  alone() {
    const space = `a${++this.#count}`
    this.#space(space)
    return { space, name: this.#name(space) }
  }

  /** A cable between two places: an interface of this name at each end, with an address. */
  cable(name, [one, first], [other, second]) {
    this.#ip(one.space, `link add ${name} type veth peer name ${name} netns ${other.name}`)
    for (const [place, address] of [[one, first], [other, second]]) {
      this.#ip(place.space, `addr add ${address} dev ${name}`)
      this.#ip(place.space, `link set ${name} up`)
    }
  }

  /** A place to play from, behind a NAT of the kind named. */
  player(kind, { ipv6 = false } = {}) {
    const n = ++this.#count
    const host = 20 + n
    if (kind === 'public') {
      const place = this.#attach(`p${n}`, host)
      this.#public.add(place.space)
      for (const network of this.#networks6) this.#route6(place.space, network)
      return place
    }
    const router = this.#attach(`r${n}`, host)
    const space = `p${n}`
    this.#space(space)
    this.#ip(router.space, `link add lan0 type veth peer name eth0 netns ${this.#name(space)}`)
    this.#ip(router.space, `addr add 192.168.${n}.1/24 dev lan0`)
    this.#ip(router.space, 'link set lan0 up')
    this.#ip(space, `addr add 192.168.${n}.10/24 dev eth0`)
    this.#ip(space, 'link set eth0 up')
    this.#ip(space, `route add default via 192.168.${n}.1`)
    if (ipv6) this.#give6(router.space, space, n)
    this.#sysctl(router.space, 'net.ipv4.ip_forward=1')
    // A home router drops what comes to it uninvited.
    this.#nft(router.space, `table ip twocan {
      chain input { type filter hook input priority 0; policy accept;
        ${kind === 'linux' ? '' : 'iifname "eth0" ct state new,invalid drop'}
      }
      chain post { type nat hook postrouting priority 100;
        oifname "eth0" ip protocol udp ${nat[kind]}
        oifname "eth0" masquerade
      }
    }`)
    return { space, name: this.#name(space), router: router.space, address: router.address, gateway: `192.168.${n}.1`, kind, network: n, device: 'eth0', host: 10 }
  }

  /** This player's router opens ports when asked (UPnP, NAT-PMP, PCP), as a home router does, from now on. */
  openPorts(place, folder) {
    const file = `${folder}/miniupnpd-${place.router}.conf`
    writeFileSync(file, ['ext_ifname=eth0', 'listening_ip=lan0', 'enable_upnp=yes', 'enable_natpmp=yes',
      'min_lifetime=60', 'system_uptime=yes', 'upnp_table_name=miniupnpd', 'upnp_nat_table_name=miniupnpd',
      'uuid=7a2bd5d0-8c4c-4f5b-9d0c-0b2e6f7a8c11', 'allow 1024-65535 192.168.0.0/16 1024-65535', ''].join('\n'))
    this.#nft(place.router, `table inet miniupnpd {
      chain forward { type filter hook forward priority 0; policy accept; jump miniupnpd; }
      chain miniupnpd { }
      chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
      chain postrouting { type nat hook postrouting priority 90; jump postrouting_miniupnpd; }
      chain prerouting_miniupnpd { }
      chain postrouting_miniupnpd { }
    }`)
    const router = { name: this.#name(place.router) }
    return this.spawn(router, 'miniupnpd', ['-d', '-f', file, '-P', `${folder}/miniupnpd-${place.router}.pid`], { stdio: 'ignore' })
  }

  /** The way to the IPv6 network behind a router. */
  #route6(from, network) { this.#ip(from, `-6 route add 2a05:80:${network}::/64 via 2a05:80::${20 + network}`) }

  #give6(router, space, n) {
    this.#sysctl(router, 'net.ipv6.conf.all.forwarding=1')
    this.#ip(router, `addr add 2a05:80:${n}::1/64 dev lan0 nodad`)
    this.#ip(space, `addr add 2a05:80:${n}::10/64 dev eth0 nodad`)
    this.#ip(space, `-6 route add default via 2a05:80:${n}::1`)
    // Who stands on the public segment knows this network; this router knows those that were there before.
    const others = this.#spaces.filter((other) => other !== router && (/^(srv|r\d+)$/.test(other) || this.#public.has(other)))
    for (const other of others) this.#route6(other, n)
    for (const other of this.#networks6) this.#route6(router, other)
    this.#networks6.push(n)
  }

  /** A place that holds whole networks (`80.81.0.0/16`, `2a05:81::/32`): each of their addresses can be bound there, and the server knows the way. */
  crowd(...networks) {
    const place = this.player('public')
    for (const setting of ['net.ipv4.ip_nonlocal_bind=1', 'net.ipv6.ip_nonlocal_bind=1', 'net.ipv4.ip_local_port_range=1024 65535']) this.sysctl(place, setting)
    for (const network of networks) {
      const [family, way] = network.includes(':') ? ['-6 ', place.address6] : ['', place.address]
      this.#ip(place.space, `${family}route add local ${network} dev lo`)
      this.#ip(this.server.space, `${family}route add ${network} via ${way}`)
    }
    return place
  }

  /** Sets one of a place's own sysctls: `net.ipv4.tcp_wmem=4096 16384 262144`. */
  sysctl(place, setting) { execFileSync('ip', ['netns', 'exec', place.name, 'sysctl', '-qw', setting]) }

  #sysctl(space, setting) { run(`ip netns exec ${this.#name(space)} sysctl -qw ${setting}`) }

  #nft(space, rules) {
    execFileSync('ip', ['netns', 'exec', this.#name(space), 'nft', '-f', '-'], { input: rules })
  }

  /** Nothing of UDP passes this player's router any more (TCP still does), until what this gives back is called. */
  blockUdp(place) { return this.#block(place, 'ip protocol udp drop') }

  /** Every TCP connection through this player's router is reset, until what this gives back is called. */
  blockTcp(place) { return this.#block(place, 'ip protocol tcp reject with tcp reset') }

  /** A player behind a router gives up its address for another one of the same network. */
  move(place) {
    const { space, network, device, host } = place
    const next = host === 10 ? 11 : 10
    this.#ip(space, `addr del 192.168.${network}.${host}/24 dev ${device}`)
    this.#ip(space, `addr add 192.168.${network}.${next}/24 dev ${device}`)
    // It went with the address.
    this.#ip(space, `route add default via 192.168.${network}.1`)
    place.host = next
  }

  /** A player walks out of one network and into another: its interface is gone, and another one is behind another router of the same kind. */
  rehome(place) {
    const { space, name, kind, router, network, address, gateway } = place
    this.#ip(space, `link del ${place.device}`)
    let next = this.#left[kind].shift()
    if (!next) {
      next = this.player(kind)
      this.#ip(next.router, 'link del lan0')
    }
    this.#left[kind].push({ router, network, address, gateway })
    const device = `eth${next.network}`
    this.#ip(next.router, `link add lan0 type veth peer name ${device} netns ${name}`)
    this.#ip(next.router, `addr add 192.168.${next.network}.1/24 dev lan0`)
    this.#ip(next.router, 'link set lan0 up')
    this.#ip(space, `addr add 192.168.${next.network}.10/24 dev ${device}`)
    this.#ip(space, `link set ${device} up`)
    this.#ip(space, `route add default via 192.168.${next.network}.1`)
    return Object.assign(place, { router: next.router, network: next.network, address: next.address, gateway: next.gateway, device, host: 10 })
  }

  /** This player's router forgets all that it has translated, as if switched off and on; what is in use gets another port. */
  forget(place) {
    const inside = (args) => execFileSync('ip', ['netns', 'exec', this.#name(place.router), ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const used = inside(['conntrack', '-L', '-p', 'udp', '--src', `192.168.${place.network}.${place.host}`])
    const ports = new Set([...used.matchAll(/^udp .*? sport=(\d+)/gm)].map(([, port]) => port))
    const rules = [...ports].map((port) => `oifname "eth0" udp sport ${port} masquerade to :${this.#otherPorts++}`)
    this.#nft(place.router, 'table ip forgetful { }')
    this.#nft(place.router, 'delete table ip forgetful')
    this.#nft(place.router, `table ip forgetful {
      chain post { type nat hook postrouting priority 99;
        ${rules.join('\n')}
      }
    }`)
    inside(['conntrack', '-F'])
  }

  /** Nothing at all passes this player's router, until what this gives back is called. */
  blockAll(place) { return this.#block(place, 'drop') }

  /** So many packets of a hundred are lost, drawn at random, in this player's router, either way, until what this gives back is called. */
  lose(place, percent) { return this.#block(place, `numgen random mod 100 < ${percent} drop`) }

  #block(place, rule) {
    this.#nft(place.router, `table ip block {
      chain forward { type filter hook forward priority -10; ${rule}; }
    }`)
    return () => this.#nft(place.router, 'delete table ip block')
  }

  /** Starts a program in a place. It ends with the world. */
  spawn(place, file, args, options = {}) {
    const child = spawn('ip', ['netns', 'exec', place.name, file, ...args], { stdio: ['pipe', 'pipe', 'inherit'], ...options })
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    return child
  }

  async close() {
    for (const child of this.#children) child.kill('SIGKILL')
    // Its hosts are routers of ours.
    if (this.#internet) await this.#internet.close()
    for (const space of this.#spaces.reverse()) {
      const name = this.#name(space)
      try { run(`ip netns del ${name}`) } catch { /* gone */ }
      rmSync(`/etc/netns/${name}`, { recursive: true, force: true })
    }
  }
}
