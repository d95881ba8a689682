"""Read trained weights from files of Caffe, torchvision, GluonCV and MXNet, without those frameworks."""
