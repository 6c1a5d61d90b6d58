import signal
print({number: str(signal.getsignal(number)) for number in sorted(signal.valid_signals())})
print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
