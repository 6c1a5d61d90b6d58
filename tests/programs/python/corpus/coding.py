# -*- coding: latin-1 -*-
print('größe', '漢字', '🙂', ascii('é'))
größe = '\udc80'
print(größe)
