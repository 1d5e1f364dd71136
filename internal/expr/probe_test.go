package expr

import ("testing";"fmt";"time";"strings")

func TestProbe(t *testing.T) {
	sc := Scope{Vars: map[string]any{"login": map[string]any{"email":"a@x","n":3.0,"tags":[]string{"a","b"},"i":7}, "list":[]any{1.0,2.0,3.0}, "m": map[string]string{"k":"v"}, "s":"text"},
	Functions: map[string]func([]any)(any,error){"policy.userContext": func([]any)(any,error){return map[string]any{"email":"u@x","tokens":map[string]any{"a":1}},nil}}}
	for _, src := range []string{
	`1`, `-5`, `5/2`, `5 % 3`, `7.5 % 2`, `0x10`, `1u`, `b"x"`, `1/0`, `1e308*10.0`, `10 + "a"`, `login.n + "a"`, `null + 1`, `login.nope`, `login.nope.x`, `nobody.x`, `nobody`, `nobody ?? "d"`, `login.nope ?? "d"`, `login.nope.deep ?? "d"`, `nobody.a.b ?? login.nope ?? "e"`, `login["nope"] ?? 2`, `login.email ?? 1`, `list[9] ?? "none"`, `list[0]`, `list[size(list)-1]`, `[1,2,3][size(list)-1]`, `list[1.5]`, `list[-1]`, `{"a":1}["a"]`, `{1:2}`, `{"a":1}.a`, `{"a":[1,{"b":null}]}`,
	`has(login.email)`, `has(login.x)`, `has(nobody.x)`, `has(nobody.x.y)`, `login.?x.orValue(3)`, `nobody.?x.orValue(3)`, `login.?x`, `optional.of(3)`, `login[?"email"].orValue("z")`,
	`"a" == 1`, `1 == 1.0`, `login == login`, `list == [1,2,3]`, `list != [1,2]`, `"a" in login`, `"email" in login`, `2 in list`, `"b" in login.tags`, `"x" in "xyz"`, `null == nobody`,
	`login.i + 1`, `m.k`, `login.tags[1]`, `login.tags + ["c"]`, `list.map(x, x+1)`, `list.map(x, x>1, x*2)`, `list.filter(x, x>1)`, `std.map(list, x, x*10)`, `@std.filter(list, x, x<3)`, `@std.find(list, x, x>1)`, `@std.find(list, x, x>10)`, `@std.find("hello","l")`, `@std.rfind("hello","l")`, `std.reduce(list, 0, a, x, a+x)`, `std.let(y, 5, y*y)`, `std.let(y, login, y.email)`, `list.exists(x, x==2)`, `list.all(x, x>0)`, `list.exists_one(x, x==2)`, `list.existsOne(x, x==2)`, `login.map(k, k)`, `list.map(x, list.map(y, x*y))`,
	`true ? 1 : "a"`, `nobody ? 1 : 2`, `login.email ? 1 : 2`, `nobody && true`, `login.nope == 1 || true`, `true || login.nope`, `!nobody`, `s.contains("ex")`, `s.upper()`, `"a,b".split(",")`, `["a","b"].join("-")`, `s.size()`, `s.length`, `s.matches("^t")`, `s.matches("(")`, `s.substring(1,2)`, `"abc".reverse()`, `string(1700000000000.0)`, `string(1.5)`, `string(list)`, `int("4")`, `int(4.9)`, `int("x")`, `double("4.5")`,
	`@policy.userContext().email`, `@policy.userContext`, `@policy.userContext.email`, `policy.userContext().nope`, `@policy.isUserAuthenticated`, `@policy.nothing()`, `@policy.userContext(1)`, `policy`, `@time().nowISO`, `time().now`, `@time.now() - 5`, `@len(list)`, `len("äö")`, `std.len(5)`, `std.len()`, `std.nothing(1)`, `undefined_fn(1)`, `login.email.foo()`, `Foo{a:1}`, `google.protobuf.Duration{}`, `type(1)`, `int`, `timestamp("2020-01-01T00:00:00Z")`, `duration("1s")`, "`x`", `'single'`, `"""tri"ple@x"""`, `r"raw\n@"`, `"a@b.c" // @x`, `a @ b`, `@@std.len("x")`, `"unterminated`, `a ? b`, `(a ?? b) || c`, `a ?? b || c`, `a || b ?? c`, `a && b ?? c`, `true ? nobody ?? 1 : 2`, `[nobody ?? 1, nobody ?? 2]`, `"??" + "||"`, `nobody.?x ?? 4`, ``, ` `, `// c`, "\n\n  login.nope", "login\n  .email +\n   1", `__result__`, `@result`, `[1].map(__result__, 1)`, `[1].map(a.b, 1)`, `std.reduce(list, [], a, x, a+[x])`, `list.sort()`, `std.sort(["b","a"])`, `std.sort([1,"a"])`,`std.slice(list, -2)`, `std.slice("hello", 1, 3)`, `std.range(3)`, `std.range(2,5)`, `std.range(1000000)`, `std.sum([])`, `std.min([])`, `std.max([3,9])`, `std.avg(list)`, `std.kv({"b":1,"a":2})`, `std.keys(login)`, `std.values({"b":1,"a":2})`, `std.typeOf(list)`, `std.jsonPath(login, "$.tags[1]")`, `std.jsonPath(login, "a..b")`, `std.isValidE164Number("+493012345678")`, `std.getE164Number("030 12345678","DE")`, `std.getE164Number("x")`, `json.parse("{\"a\":[1]}").a[0]`, `json.parse("{")`, `json.stringify({"b":1,"a":"<"})`, `crypto.sha256("abc")`, `std.uuid() != std.uuid()`, `std.len(std.randomBase64(32))`, `std.randomBase64(0)`, `time.iso(0)`, `time.parse("1970-01-01T00:00:01Z")`, `math.round(2.5)`, `[?nobody]`, `{?"a": nobody.?x, "b": 1}`, `login.email < "b"`, `login.email < 1`, `nobody < 1`, `true < false`, `9007199254740993`, `[1,2]+[3]`, `[] + "a"`, `login + login`, `a.b.c()`, `dyn(1)`, `optional.none().value()`,
	} {
		p, err := Compile(src)
		if err != nil { fmt.Printf("%-42q COMPILE %v\n", src, err); continue }
		b := time.Now()
		v, err := p.Eval(t.Context(), sc)
		d := time.Since(b)
		if err != nil { fmt.Printf("%-42q EVAL    %v  names=%v\n", src, err, p.names) } else { fmt.Printf("%-42q = %#v %v %v\n", src, v, p.names, p.functions) }
		if d > 2*time.Millisecond { fmt.Println("   SLOW", d) }
	}
	_ = strings.Repeat
}
