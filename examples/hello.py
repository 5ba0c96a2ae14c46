from echelon import Application, Kv

app = Application()


@app.get("/hello/{name}")
async def hello(name: str, kv: Kv, shout: bool = False) -> dict[str, object]:
    await kv.atomic().sum(("greeted", name), 1).commit()
    times = (await kv.get(("greeted", name), type=int)).value
    greeting = f"Hello, {name}!"
    return {"greeting": greeting.upper() if shout else greeting, "times": times}
