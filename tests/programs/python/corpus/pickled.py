import pickle
class Point:
    def __init__(self, x):
        self.x = x
    def __repr__(self):
        return f'Point({self.x})'
print(pickle.loads(pickle.dumps([Point(1), Point.__init__])), pickle.dumps(Point(2)))
