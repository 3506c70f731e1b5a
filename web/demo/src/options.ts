//! Query parameters, for tests and for the curious:
//!   ?ice=relay            use relayed paths only (iceTransportPolicy)
//!   ?turn=udp|tcp|tls     of the TURN servers, use only those reached this way (STUN servers go, too)

export type TurnWay = 'udp' | 'tcp' | 'tls';

export interface Options {
  relayOnly: boolean;
  turn: TurnWay | undefined;
}

export function readOptions(query: string): Options {
  const parameters = new URLSearchParams(query);
  const turn = parameters.get('turn');
  return {
    relayOnly: parameters.get('ice') === 'relay',
    turn: turn === 'udp' || turn === 'tcp' || turn === 'tls' ? turn : undefined,
  };
}

/** How a TURN URL is reached (RFC 7065): `turns:` is TLS, else the transport, which is UDP where nothing is said. */
export function wayOf(url: string): TurnWay | undefined {
  if (url.startsWith('turns:')) return 'tls';
  if (!url.startsWith('turn:')) return undefined;
  return /[?&]transport=tcp/i.test(url) ? 'tcp' : 'udp';
}

/** Keeps the TURN URLs of one way. */
export function onlyWay(servers: readonly RTCIceServer[], way: TurnWay): RTCIceServer[] {
  return servers
    .map((server) => ({ ...server, urls: [server.urls].flat().filter((url) => wayOf(url) === way) }))
    .filter((server) => server.urls.length > 0);
}

/** An RTCPeerConnection that is given the TURN servers of one way only. */
export function connectionFor(way: TurnWay): typeof RTCPeerConnection {
  return class extends RTCPeerConnection {
    constructor(configuration: RTCConfiguration = {}) {
      super({ ...configuration, iceServers: onlyWay(configuration.iceServers ?? [], way) });
    }
    override setConfiguration(configuration: RTCConfiguration = {}): void {
      super.setConfiguration({ ...configuration, iceServers: onlyWay(configuration.iceServers ?? [], way) });
    }
  };
}
