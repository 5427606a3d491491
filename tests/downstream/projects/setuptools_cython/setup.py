from Cython.Build import cythonize
from setuptools import Extension, setup

# Neither headers nor libraries of cnn are named: cimport needs none.
setup(ext_modules=cythonize([Extension("cnn_user", ["cnn_user.pyx"])], language_level=3))
