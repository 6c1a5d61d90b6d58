import warnings
warnings.warn('one')
warnings.warn('one')
print('__warningregistry__' in globals())
assert (1, 'always true')
print('a' is 'a')
'\d'
