/** A network out of JSON: `{"interfaces": [{"index": 2, "mac": "02:…"}], "routes": [{"to": "10.0.0.0/8", …}], "neighbours": […], "sockets": […]}`. */
import { InputError } from '../errors.ts';
import type { Network } from './network.ts';

const members: Readonly<Record<'interfaces' | 'routes' | 'neighbours' | 'sockets', Readonly<Record<string, string>>>> =
  {
    interfaces: {
      index: 'number',
      mac: 'string',
      mtu: 'number?',
      forwards: 'boolean?',
      ipv4: 'string?',
      ipv6: 'string?',
      peer: 'number?',
    },
    routes: {
      to: 'string',
      interface: 'number?',
      via: 'string?',
      type: 'string?',
      table: 'number?',
      metric: 'number?',
      mtu: 'number?',
      source: 'string?',
    },
    neighbours: { interface: 'number', address: 'string', mac: 'string' },
    sockets: {
      name: 'string?',
      local: 'string?',
      remote: 'string?',
      protocol: 'string?',
      state: 'string?',
      reuseport: 'boolean?',
      cookie: 'number?',
    },
  };

/** Throws InputError `SLUICE_NETWORK` with the place; whether the addresses are some is seen when a runtime is made. */
export function networkFromJson(json: unknown, path: string): Network {
  const bad = (text: string) => new InputError('SLUICE_NETWORK', text, { input: path });
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject(json)) throw bad(`a network is an object of ${Object.keys(members).join(', ')}`);
  if (!Array.isArray(json['interfaces'])) throw bad('interfaces must be a list');
  for (const [list, records] of Object.entries(json)) {
    if (!Object.hasOwn(members, list)) throw bad(`${list} is none of ${Object.keys(members).join(', ')}`);
    const known = members[list as keyof typeof members]; // as just asked
    if (!Array.isArray(records)) throw bad(`${list} must be a list`);
    for (const [i, record] of records.entries()) {
      const place = `${list}[${i}]`;
      if (!isObject(record)) throw bad(`${place} must be an object`);
      for (const name of Object.keys(record))
        if (!Object.hasOwn(known, name)) throw bad(`${place} has no member ${name}`);
      for (const [name, type] of Object.entries(known)) {
        const value = record[name];
        if (value === undefined && type.endsWith('?')) continue;
        if (typeof value !== type.replace('?', '')) throw bad(`${place}.${name} must be a ${type.replace('?', '')}`);
      }
    }
  }
  return json as unknown as Network; // as checked
}
