//! What this browser can see of its way to others: which addresses it is given, and by which transport a relay answers.

import { type TurnWay, onlyWay } from './options.ts';

/** How long to wait for a server. */
const GATHER_MS = 5000;
const WAYS: readonly TurnWay[] = ['udp', 'tcp', 'tls'];

export type Mapping = 'independent' | 'dependent' | 'unknown';

export interface Seen {
  /** An address of this device, hidden or not. */
  host: boolean;
  /** STUN was answered over UDP. */
  udp: boolean;
  /** There is a way over IPv6. */
  ipv6: boolean;
  /** Whether a NAT gives us the same outer port towards everybody. It takes two STUN servers to tell. */
  mapping: Mapping;
  /** By each way that the server offers, whether the relay gave us an address. */
  relays: { way: TurnWay; answers: boolean }[];
}

/** What came of asking for addresses. */
export interface Gathered {
  candidates: Pick<RTCIceCandidate, 'type' | 'address' | 'port'>[];
  /** Servers that did not answer. */
  errors: string[];
  /** The browser said that there are no more, rather than us losing patience. */
  complete: boolean;
}

/** Asks every server for an address, each way for itself. */
export async function look(servers: readonly RTCIceServer[], Connection: typeof RTCPeerConnection = RTCPeerConnection): Promise<Seen> {
  const stun = servers.flatMap((server) => [server.urls].flat()).filter((url) => url.startsWith('stun:'));
  const ways = WAYS.map((way) => ({ way, servers: onlyWay(servers, way) })).filter(({ servers }) => servers.length > 0);
  const overUdp = (urls: string[]): Promise<Gathered> => gather(new Connection({ iceServers: urls.map((each) => ({ urls: each })) }));
  const [v4, v6, ...relays] = await Promise.all([
    // Each by itself: a browser without IPv6 waits for ten seconds before it says that a server of it is silent.
    overUdp(stun.filter((url) => !isV6(url))),
    overUdp(stun.filter(isV6)),
    ...ways.map(({ servers }) => gather(new Connection({ iceServers: servers, iceTransportPolicy: 'relay' }), 'relay')),
  ]);
  return {
    ...judge(v4, v6, stun),
    relays: ways.map(({ way }, index) => ({ way, answers: relays[index]?.candidates.some(({ type }) => type === 'relay') ?? false })),
  };
}

/** Whether the server is one of IPv6, by an address in its URL. */
const isV6 = (url: string): boolean => url.includes('[');

/** What addresses say, that were asked of these STUN servers: of those of IPv6 alone, and of all others. */
export function judge(v4: Gathered, v6: Gathered, stun: readonly string[]): Omit<Seen, 'relays'> {
  const candidates = [...v4.candidates, ...v6.candidates];
  const reflexive = candidates.filter(({ type }) => type === 'srflx');
  const answered = ({ errors, complete }: Gathered, urls: string[]): string[] => (complete ? urls.filter((url) => !errors.includes(url)) : []);
  const asked = new Set(answered(v4, stun.filter((url) => !isV6(url))));
  // Where nothing is translated, a browser leaves out the address that it knows already.
  const udp = reflexive.length > 0 || asked.size > 0;
  // NATs are a thing of IPv4; a server that has only an IPv6 address tells nothing of them.
  const ports = new Map<string, Set<number>>();
  for (const { address, port } of reflexive) {
    if (address && port && !address.includes(':')) ports.set(address, (ports.get(address) ?? new Set()).add(port));
  }
  const mapping = [...ports.values()].some((each) => each.size > 1) ? 'dependent' : asked.size > 1 && ports.size > 0 ? 'independent' : 'unknown';
  const ipv6 = candidates.some(({ type, address }) => type === 'srflx' && address?.includes(':'));
  return { host: candidates.some(({ type }) => type === 'host'), udp, ipv6: ipv6 ?? false, mapping };
}

/** Gathers until there are no more, or until there is one of this type. */
async function gather(connection: RTCPeerConnection, until?: RTCIceCandidateType): Promise<Gathered> {
  const gathered: Gathered = { candidates: [], errors: [], complete: false };
  try {
    const done = new Promise<void>((resolve) => {
      setTimeout(resolve, GATHER_MS);
      connection.addEventListener('icecandidateerror', (event) => gathered.errors.push(event.url));
      connection.addEventListener('icecandidate', ({ candidate }) => {
        if (candidate && candidate.candidate !== '') gathered.candidates.push(candidate);
        if (candidate?.type !== undefined && candidate.type === until) resolve();
      });
      connection.addEventListener('icegatheringstatechange', () => {
        gathered.complete = connection.iceGatheringState === 'complete';
        if (gathered.complete) resolve();
      });
    });
    connection.createDataChannel('check');
    await connection.setLocalDescription();
    await done;
  } finally {
    connection.close();
  }
  return gathered;
}

/** What it means, in a sentence. */
export function meaning({ udp, mapping, relays }: Pick<Seen, 'udp' | 'mapping' | 'relays'>): string {
  const relayed = relays.some(({ answers }) => answers);
  const rest = relayed ? 'the relay carries the rest' : 'and there is no relay for the rest';
  if (!udp) return relayed ? 'Nothing but the web gets out of this network. You will play through the relay.' : 'Neither direct ways nor the relay work from this network. Try another one, for example a phone’s.';
  if (mapping === 'dependent') return `Your network changes its address for everybody you talk to, so few will reach you directly; ${rest}.`;
  if (mapping === 'independent') return `Most people will reach you directly; ${rest}.`;
  return `UDP gets out, so most networks let you play directly; ${rest}.`;
}
