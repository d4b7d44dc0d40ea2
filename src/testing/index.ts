/**
 * testing/: tests of programs: packets in, verdicts, packets, map contents and events out, on both engines and in the kernel.
 *
 * This file: `sluice/testing`, for tests in vitest. Importing it adds the matchers to vitest's `expect`.
 */
import { expect } from 'vitest';
import type { Value } from '../runtime/handles.ts';
import { matchers } from './matchers.ts';

export { type ArpFields, arp } from '../net/arp.ts';
export { type DnsFields, dns } from '../net/dns.ts';
export { type EthernetFields, ethernet } from '../net/ethernet.ts';
export { type IcmpFields, icmp, icmpv6 } from '../net/icmp.ts';
export { type Ipv4Fields, ipv4 } from '../net/ipv4.ts';
export { type Ipv6Fields, ipv6 } from '../net/ipv6.ts';
export { packet, padded } from '../net/packet.ts';
export { type TcpFields, tcp } from '../net/tcp.ts';
export { type UdpFields, udp } from '../net/udp.ts';
export { type VlanFields, vlan } from '../net/vlan.ts';
export { matchers } from './matchers.ts';
export { type Expectation, readTestFile, type TestCase, type TestFile } from './test-file.ts';
export {
  loadForTest,
  type TestEngine,
  type TestInput,
  type TestLoadOptions,
  type TestObject,
  type TestRun,
} from './test-object.ts';
export { type CaseResult, runTestFile } from './test-run.ts';

expect.extend(matchers);

interface ProgramMatchers<R> {
  toPass(): R;
  toDrop(): R;
  toHaveVerdict(verdict: string | number): R;
  toLeavePacketUnchanged(): R;
  toHaveEntry(key: Value, value?: Value): R;
}

declare module 'vitest' {
  // Vitest's own declaration has this parameter list.
  interface Matchers<T> extends ProgramMatchers<T> {}
}
