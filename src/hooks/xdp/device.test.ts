import { expect, it } from 'vitest';
import { ethernet } from '../../net/ethernet.ts';
import { ipv4 } from '../../net/ipv4.ts';
import { ipv6 } from '../../net/ipv6.ts';
import { packet } from '../../net/packet.ts';
import { tcp } from '../../net/tcp.ts';
import { udp } from '../../net/udp.ts';
import { vlan } from '../../net/vlan.ts';
import { captureDevice, deviceNames, deviceOf, nic, plainDevice, veth } from './device.ts';

// Row 1 of the RSS verification suite.
const row = { src: '66.9.149.187', dst: '161.142.100.80' };
const ports = { srcPort: 2794, dstPort: 1766 };
const plain = packet(ethernet(), ipv4(row), tcp(ports));
const tagged = packet(ethernet(), vlan({ id: 7, priority: 3 }), ipv4(row), tcp(ports));
const at = (data: Uint8Array, timestampNs = 5n) => ({ data, timestampNs });

it('a card knows the time and the hash of the verification suite', () => {
  expect(nic().receive(at(plain))).toEqual({
    data: plain,
    hints: { timestampNs: 5n, hash: { value: 0x51ccc178, type: 0x19 } },
  });
  const types = (data: Uint8Array) => nic().receive(at(data)).hints?.hash?.type;
  expect(types(packet(ethernet(), ipv4(row), udp(ports)))).toBe(0x29);
  expect(types(packet(ethernet(), ipv4({ ...row, protocol: 47 })))).toBe(0x1);
  expect(types(packet(ethernet(), ipv6({ src: '::1', dst: '::2' }), udp(ports)))).toBe(0x2a);
  expect(types(new Uint8Array(60))).toBeUndefined();
  expect(nic({ hashTypes: 1 }).receive(at(plain)).hints?.hash).toEqual({ value: 0x323e8fc2, type: 0x1 });
});

it('a card takes tags off if it is to, and only then says them', () => {
  expect(nic().receive(at(tagged)).data).toBe(tagged);
  expect(nic().receive(at(tagged)).hints).not.toHaveProperty('vlan');
  const { data, hints } = nic({ stripVlan: true }).receive(at(tagged));
  expect(data).toEqual(plain);
  expect(hints).toMatchObject({ vlan: { protocol: 0x8100, tci: 0x6007 }, hash: { value: 0x51ccc178 } });
  expect(nic({ stripVlan: true }).receive(at(plain)).data).toBe(plain);
  // A tag that breaks off stays.
  expect(nic({ stripVlan: true }).receive(at(tagged.subarray(0, 17))).data.length).toBe(17);
});

it('veth says what Linux 6.18 does: time 0, type L4, no tag', () => {
  const { data, hints } = veth().receive(at(tagged));
  expect(data).toBe(tagged);
  expect(hints).toEqual({ timestampNs: 0n, hash: { value: 0x51ccc178, type: 8 } });
  expect(veth().receive(at(packet(ethernet(), ipv4({ ...row, protocol: 47 })))).hints?.hash?.type).toBe(0);
});

it('a capture knows when packets came, where it says so', () => {
  expect(captureDevice.receive(at(plain)).hints).toEqual({ timestampNs: 5n });
  expect(captureDevice.receive(at(plain, 0n)).hints).toEqual({});
  expect(plainDevice.receive(at(plain)).hints).toBeUndefined();
});

it('refuses what there is not', () => {
  expect(() => nic({ key: new Uint8Array(20) })).toThrow(/a key of 20 bytes: the hash types need 40/);
  for (const name of deviceNames) expect(deviceOf(name).receive(at(plain)).data).toBe(plain);
  expect(() => deviceOf('ne2000' as 'nic')).toThrow(/no device ne2000: none, capture, nic/);
});
