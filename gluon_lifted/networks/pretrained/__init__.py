"""Trained weights from the files of others: Caffe, torchvision, GluonCV, MXNet. No framework of theirs is needed."""
