import { describe, expect, it } from 'vitest';
import { helperId } from './helpers/index.ts';
import { helperTakesMap, mapRules, mapTypesOfHelper, mayUpdateSockmap } from './map-rules.ts';
import { mapTypes } from './map-types.ts';

const xdp = { type: 'xdp' } as const;

describe('map rules', () => {
  it('stand for every type of Linux 6.18', () => {
    expect([...Object.keys(mapRules), 'insn_array', 'allocator'].sort()).toEqual(Object.keys(mapTypes).sort());
  });

  it('name helpers that there are, and agree from both sides', () => {
    for (const [type, { helpers }] of Object.entries(mapRules)) {
      if (helpers === 'any') continue;
      for (const name of helpers) {
        expect(helperId(name), name).toBeDefined();
        const types = mapTypesOfHelper[name];
        if (types !== undefined) expect(types, `${name} of ${type}`).toContain(type);
      }
    }
    for (const name of Object.keys(mapTypesOfHelper)) expect(helperId(name), name).toBeDefined();
  });

  it('judge a helper by map and map by helper', () => {
    expect(helperTakesMap('map_lookup_elem', 'hash', xdp)).toBe(true);
    expect(helperTakesMap('map_lookup_elem', 'prog_array', xdp)).toBe(false);
    expect(helperTakesMap('tail_call', 'hash', xdp)).toBe(false);
    expect(helperTakesMap('redirect_map', 'devmap', xdp)).toBe(true);
    expect(helperTakesMap('map_update_elem', 'devmap', xdp)).toBe(false);
    expect(helperTakesMap('map_lookup_percpu_elem', 'hash', xdp)).toBe(false);
    expect(helperTakesMap('map_lookup_elem', 'insn_array', xdp)).toBe(false);
  });

  it('let some program types update sockmaps', () => {
    expect(helperTakesMap('map_update_elem', 'sockmap', xdp)).toBe(true);
    expect(helperTakesMap('map_update_elem', 'sockmap', { type: 'sk_msg' })).toBe(false);
    expect(mayUpdateSockmap('map_update_elem', 'sock_ops', undefined)).toBe(false);
    expect(mayUpdateSockmap('map_delete_elem', 'sock_ops', undefined)).toBe(true);
    expect(mayUpdateSockmap('map_update_elem', 'tracing', 'trace_iter')).toBe(true);
    expect(mayUpdateSockmap('map_update_elem', 'tracing', 'trace_fentry')).toBe(false);
  });
});
