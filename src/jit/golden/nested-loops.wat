(module
  (type (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i64 i64 i64 i64 i64) (result i64)))
  (type (;2;) (func (param i64 i64) (result i64)))
  (import "env" "memory" (memory (;0;) 64 65536 shared))
  (import "env" "table" (table (;0;) 0 funcref))
  (import "env" "worker" (global (;0;) i32))
  (import "env" "table_base" (global (;1;) i32))
  (func $nested-loops (type 2) (param i64 i64) (result i64)
    (local i64 i64 i64)
    (local.set 2
      (i64.const 0))
    (local.set 3
      (i64.const 0))
    (loop  ;; label = @1
      (local.set 4
        (i64.const 0))
      (loop  ;; label = @2
        (block  ;; label = @3
          (local.set 2
            (i64.add
              (local.get 2)
              (local.get 4)))
          (local.set 4
            (i64.add
              (local.get 4)
              (i64.const 1)))
          (br_if 0 (;@3;)
            (i32.eqz
              (i64.lt_u
                (local.get 4)
                (local.get 1))))
          (local.set 2
            (i64.add
              (local.get 2)
              (local.get 4)))
          (local.set 4
            (i64.add
              (local.get 4)
              (i64.const 1)))
          (br_if 0 (;@3;)
            (i32.eqz
              (i64.lt_u
                (local.get 4)
                (local.get 1))))
          (local.set 2
            (i64.add
              (local.get 2)
              (local.get 4)))
          (local.set 4
            (i64.add
              (local.get 4)
              (i64.const 1)))
          (br_if 0 (;@3;)
            (i32.eqz
              (i64.lt_u
                (local.get 4)
                (local.get 1))))
          (local.set 2
            (i64.add
              (local.get 2)
              (local.get 4)))
          (local.set 4
            (i64.add
              (local.get 4)
              (i64.const 1)))
          (br_if 0 (;@3;)
            (i32.eqz
              (i64.lt_u
                (local.get 4)
                (local.get 1))))
          (local.set 2
            (i64.add
              (local.get 2)
              (local.get 4)))
          (local.set 4
            (i64.add
              (local.get 4)
              (i64.const 1)))
          (br_if 0 (;@3;)
            (i32.eqz
              (i64.lt_u
                (local.get 4)
                (local.get 1))))
          (local.set 2
            (i64.add
              (local.get 2)
              (local.get 4)))
          (local.set 4
            (i64.add
              (local.get 4)
              (i64.const 1)))
          (br_if 0 (;@3;)
            (i32.eqz
              (i64.lt_u
                (local.get 4)
                (local.get 1))))
          (local.set 2
            (i64.add
              (local.get 2)
              (local.get 4)))
          (local.set 4
            (i64.add
              (local.get 4)
              (i64.const 1)))
          (br_if 0 (;@3;)
            (i32.eqz
              (i64.lt_u
                (local.get 4)
                (local.get 1))))
          (local.set 2
            (i64.add
              (local.get 2)
              (local.get 4)))
          (local.set 4
            (i64.add
              (local.get 4)
              (i64.const 1)))
          (br_if 1 (;@2;)
            (i64.lt_u
              (local.get 4)
              (local.get 1)))
          (br 0 (;@3;)))
        (local.set 3
          (i64.add
            (local.get 3)
            (i64.const 1)))
        (br_if 1 (;@1;)
          (i64.lt_u
            (local.get 3)
            (local.get 0)))
        (return
          (local.get 2))))
    (unreachable))
  (export "nested-loops" (func 0))
  (export "nested-loops:tail" (func 0))
  (elem (;0;) (global.get 1) func 0 0))
