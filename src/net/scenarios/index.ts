/** scenarios/: seeded traffic of one kind each, for programs that the mix of generator.ts hardly touches. */
import type { Random } from '../random.ts';
import { dnsFrame } from './dns.ts';
import { handshakeFrame } from './handshakes.ts';
import { serviceFrame } from './services.ts';
import { steeringFrame } from './steering.ts';

/** Makes the next frame. It has no state: whatever repeats does so because the choices are few. */
export type Scenario = (rng: Random) => Uint8Array;

export const scenarios = {
  /** Queries to 10.0.0.53 and fd00::53, with everything that a resolver should not be sent. */
  dns: dnsFrame,
  /** TCP to 10.0.0.80 and fd00::80, half of it SYNs. */
  handshakes: handshakeFrame,
  /** TCP and UDP to 203.0.113.80 to .82 and 2001:db8:80::80, and ICMP errors. */
  services: serviceFrame,
  /** Tags, IPv6 extension headers with home and routing addresses, fragments, tunnels, from few addresses. */
  steering: steeringFrame,
} as const satisfies Readonly<Record<string, Scenario>>;

export type ScenarioName = keyof typeof scenarios;

export const scenarioNames = Object.keys(scenarios) as ScenarioName[]; // the keys above
