// plane/assembly: the data plane, compiled by AssemblyScript to plane.wasm. What programs call and what runs per event.
// No mutable static data: state lives in the root structure, in worker blocks and in the objects themselves, because several
// workers run this module over the same memory.

export * from './objects';
export * from './pages';
export * from './helpers/checksum';
export * from './helpers/clock';
export * from './helpers/cpu';
export * from './helpers/mtu';
export * from './helpers/printk';
export * from './helpers/random';
export * from './helpers/redirect';
export * from './helpers/skb-bytes';
export * from './helpers/skb-checksum';
export * from './helpers/skb-hash';
export * from './helpers/skb-room';
export * from './helpers/skb-socket';
export * from './helpers/skb-state';
export * from './helpers/skb-tunnel';
export * from './helpers/skb-vlan';
export * from './helpers/strings';
export * from './helpers/syncookie';
export * from './helpers/task';
export * from './hooks/skb';
export * from './hooks/xdp';
export * from './hooks/xsk';
<<<<<<< HEAD
export * from './kfuncs/cpumask';
export * from './kfuncs/dynptr';
export * from './kfuncs/iterators';
export * from './kfuncs/sections';
export * from './kfuncs/strings';
export * from './kfuncs/xdp-metadata';
=======
export * from './maps/arena';
>>>>>>> abb6d9b (maps: arena, user ringbuf, storages, sockets, struct_ops and instruction arrays in user space)
export * from './maps/array';
export * from './maps/array-of-maps';
export * from './maps/batch';
export * from './maps/cpumap';
export * from './maps/create';
export * from './maps/devmap';
export * from './maps/generic';
export * from './maps/hash';
export * from './maps/hash-of-maps';
export * from './maps/insn-array';
export * from './maps/lpm-trie';
export * from './maps/lru-hash';
export * from './maps/lru-percpu-hash';
export * from './maps/percpu-array';
export * from './maps/percpu-hash';
export * from './maps/perf-event-array';
export * from './maps/prog-array';
export * from './maps/redirect-map';
export * from './maps/registry';
export * from './maps/reuseport-sockarray';
export * from './maps/ringbuf';
export * from './maps/sockmap';
export * from './maps/storage';
export * from './maps/struct-ops';
export * from './maps/user';
export * from './maps/user-ringbuf';
export * from './maps/value';
export * from './maps/xskmap';
