import multiprocessing, os, subprocess, sys
def square(n):
    return n * n
if __name__ == '__main__':
    with multiprocessing.Pool(2) as pool:
        print(pool.map(square, [1, 2, 3]))
    print(subprocess.run([sys.executable, '-c', 'import sys; print(sys.argv, sys.path)'], capture_output=True, text=True))
    if os.fork() == 0:
        print('child', flush=True)
        os._exit(3)
    print(os.wait()[1])
