(module
  (type (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i64 i64 i64 i64 i64) (result i64)))
  (type (;2;) (func (param i64 i64) (result i64)))
  (import "env" "memory" (memory (;0;) 64 65536 shared))
  (import "env" "table" (table (;0;) 0 funcref))
  (import "env" "worker" (global (;0;) i32))
  (import "env" "table_base" (global (;1;) i32))
  (func $byte-swaps (type 2) (param i64 i64) (result i64)
    (local i32 i64 i64)
    (local.set 2
      (i32.wrap_i64
        (local.get 1)))
    (local.set 3
      (local.get 0))
    (local.set 4
      (local.get 3))
    (local.set 4
      (i64.or
        (i64.shl
          (i64.and
            (local.get 4)
            (i64.const 71777214294589695))
          (i64.const 8))
        (i64.and
          (i64.shr_u
            (local.get 4)
            (i64.const 8))
          (i64.const 71777214294589695))))
    (local.set 4
      (i64.or
        (i64.shl
          (i64.and
            (local.get 4)
            (i64.const 281470681808895))
          (i64.const 16))
        (i64.and
          (i64.shr_u
            (local.get 4)
            (i64.const 16))
          (i64.const 281470681808895))))
    (local.set 3
      (i64.rotl
        (local.get 4)
        (i64.const 32)))
    (local.set 2
      (i32.or
        (i32.and
          (i32.shl
            (local.get 2)
            (i32.const 8))
          (i32.const 65280))
        (i32.and
          (i32.shr_u
            (local.get 2)
            (i32.const 8))
          (i32.const 255))))
    (local.set 3
      (i64.add
        (local.get 3)
        (i64.extend_i32_u
          (local.get 2))))
    (return
      (local.get 3))
    (unreachable))
  (export "byte-swaps" (func 0))
  (export "byte-swaps:tail" (func 0))
  (elem (;0;) (global.get 1) func 0 0))
