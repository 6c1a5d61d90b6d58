import asyncio
async def one(n):
    await asyncio.sleep(0)
    return n
async def all_of_them():
    print(await asyncio.gather(*map(one, range(5))))
    raise RuntimeError('in a coroutine')
asyncio.run(all_of_them())
