(module
  (type (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i64 i64 i64 i64 i64) (result i64)))
  (type (;2;) (func (param i64 i32) (result i64)))
  (import "env" "memory" (memory (;0;) 64 65536 shared))
  (import "env" "table" (table (;0;) 0 funcref))
  (import "env" "worker" (global (;0;) i32))
  (import "env" "table_base" (global (;1;) i32))
  (func $tail-call (type 0) (param i64) (result i64)
    (return_call 1
      (local.get 0)
      (i32.load offset=8 align=1
        (global.get 0))))
  (func $tail-call:counted (type 2) (param i64 i32) (result i64)
    (local i32 i32)
    (local.set 2
      (i32.wrap_i64
        (local.get 0)))
    (block  ;; label = @1
      (local.set 3
        (i32.load align=1
          (i32.const 4587532)))
      (br_if 0 (;@1;)
        (i32.eqz
          (local.get 3)))
      (br_if 0 (;@1;)
        (i32.ge_u
          (local.get 1)
          (i32.const 33)))
      (i32.store offset=8 align=1
        (global.get 0)
        (i32.add
          (local.get 1)
          (i32.const 1)))
      (return_call_indirect (type 0)
        (i64.extend_i32_u
          (local.get 2))
        (local.get 3)))
    (drop
      (i64.const 0))
    (i32.store offset=8 align=1
      (global.get 0)
      (local.get 1))
    (return
      (i64.const 1))
    (unreachable))
  (func $tail-call:first (type 0) (param i64) (result i64)
    (return_call 1
      (local.get 0)
      (i32.const 0)))
  (export "tail-call" (func 2))
  (export "tail-call:tail" (func 0))
  (elem (;0;) (global.get 1) func 2 0))
